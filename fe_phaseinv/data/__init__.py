"""What was measured: series of images, the meshes of what they show, and the files of both."""
