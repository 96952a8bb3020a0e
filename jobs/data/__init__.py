"""Training images: read from NIfTI, DICOM and PNG, or made up by the phantom generator."""
