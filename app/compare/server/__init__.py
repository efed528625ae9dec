"""What only a server needs of comparisons: they wait, run one after the other, and survive a restart."""
