"""What holds after the lesson, in the kernel that ran it."""
