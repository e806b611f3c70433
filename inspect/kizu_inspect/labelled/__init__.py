"""What people call their pictures: readers, samples, places, splits, checks. Beneath training and evaluation."""
