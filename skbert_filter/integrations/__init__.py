"""What other programs offer, used from here: leaves that nothing else imports unasked."""
