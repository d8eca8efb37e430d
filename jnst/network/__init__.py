"""From an image to feature maps: VGG16 and VGG19, and what makes them fast."""
