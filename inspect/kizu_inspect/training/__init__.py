"""From labelled pictures to a bundle: data sets, training, calibration, the training report."""
