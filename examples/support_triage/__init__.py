"""Support triage: mails become tickets, an agent looks into angry ones, people approve what leaves the house."""
