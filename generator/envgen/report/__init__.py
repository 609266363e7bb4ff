"""A report of a project that people look at: one page, or Markdown for a pull request.

`collect` gathers what there is to say, `treemap` places sizes on a plane, `page` and `markdown`
write it.
"""
