"""nbgrader on this repository: our folders, and grading behind the wall. Read by every nbgrader command and by the formgrader."""
from nbgrader.preprocessors import AssignLatePenalties, CheckCellMetadata, LimitOutput, OverwriteKernelspec, SaveAutoGrades

from autograder.build import release_steps
from autograder.feedback import FeedbackGrades, FeedbackPage
from autograder.preprocessors import Wall

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "featherweight"
c.CourseDirectory.source_directory = "build/source"
c.CourseDirectory.release_directory = "assignments"
c.GenerateAssignment.preprocessors = release_steps()
c.Autograde.sanitize_preprocessors = [Wall, OverwriteKernelspec, CheckCellMetadata]
c.Autograde.autograde_preprocessors = [LimitOutput, SaveAutoGrades, AssignLatePenalties, CheckCellMetadata]
c.GenerateFeedback.preprocessors = [FeedbackGrades]
c.GenerateFeedback.exporter_class = FeedbackPage
c.HTMLExporter.filters = {"markdown2html": "autograder.sanitize.markdown_to_html"}
