"""What came of an upload: the finished bytes, the assessment, its pictures."""

from wherry.protocols.files.routes import ASSESSMENTS, FILES

__all__ = ["ASSESSMENTS", "FILES"]
