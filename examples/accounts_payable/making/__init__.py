"""Makes the example's invoices and master data; nothing here is needed to run the process."""
