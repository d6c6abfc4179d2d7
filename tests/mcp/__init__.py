"""What agents get over the Model Context Protocol."""
