"""What learners read and import: lessons, data sets, models, weights."""
