"""A DICOM slide without pixels, the same every time, for annotations that refer to it."""

from __future__ import annotations

from pathlib import Path

SIDE_PX = 100_000
_SLIDE, _SERIES, _STUDY = "2.25.1001", "2.25.1002", "2.25.1003"


def write_dicom_slide(folder: Path) -> Path:
    """Write the header of its only level into a new folder; return the folder."""
    import pydicom
    from pydicom.dataset import FileMetaDataset

    folder.mkdir(parents=True)
    header = pydicom.Dataset()
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.6", _SLIDE
    header.StudyInstanceUID, header.SeriesInstanceUID = _STUDY, _SERIES
    header.Modality, header.ImageType = "SM", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    header.TotalPixelMatrixRows = header.TotalPixelMatrixColumns = SIDE_PX
    header.Rows = header.Columns = 256
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.save_as(folder / "level-0.dcm", enforce_file_format=True)
    return folder
