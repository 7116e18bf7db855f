"""What stands in when there is no acceptable model answer: rules, then a person."""
