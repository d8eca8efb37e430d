"""What an image is compared by: terms, features and targets, as one value."""
