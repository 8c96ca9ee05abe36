"""What the API server would refuse in an object of the right types (kubernetes pkg/apis/core/validation, 1.36).

Each function yields all it finds, with the path of the field. No I/O: whether a file or an image exists is seen later.
"""
