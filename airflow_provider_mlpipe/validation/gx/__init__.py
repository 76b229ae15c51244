"""What touches Great Expectations' insides: running it as it is on pandas, and expectations by its own names.

Modules here import Great Expectations or pandas only inside functions, or are imported only while a validation runs.
"""
