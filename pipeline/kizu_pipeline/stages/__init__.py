"""What happens to a picture on its way through the line, a stage a file, with bounded queues between them."""
