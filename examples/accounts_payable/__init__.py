"""Accounts payable: real PDF invoices from a drop folder to posted, queued, or waiting for a person."""
