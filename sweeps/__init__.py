"""WHERE runs happen: engines that compute run folders, and the driver that brings a study to its records."""
