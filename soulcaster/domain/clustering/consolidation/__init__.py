"""What the clusters should be, seen from all micro-clusters: thresholds, linkage, identity, titles. Pure."""
