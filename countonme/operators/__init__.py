"""What every page of the operators' site shares."""
