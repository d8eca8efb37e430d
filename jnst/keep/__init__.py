"""Nothing lost: checkpoints, and pictures made again."""
