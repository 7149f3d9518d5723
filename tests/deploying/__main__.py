"""`python -m tests.deploying` writes the table of values into the page of the chart."""

from tests.deploying.test_values_page import _BEGIN, _END, README, table

page = README.read_text()
before, _, rest = page.partition(_BEGIN)
_, _, after = rest.partition(_END)
README.write_text(before + _BEGIN + table() + _END + after)
