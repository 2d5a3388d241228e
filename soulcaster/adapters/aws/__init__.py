"""Amazon Web Services. Credentials, region and endpoints come from the usual variables and files of AWS."""
