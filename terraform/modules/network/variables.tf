variable "name" {
  description = "Prefix of the names of all resources."
  type        = string
}

variable "cidr" {
  description = "Addresses of the network, a /16 to /20; it is cut into sixteen parts."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(tonumber(split("/", var.cidr)[1]), 0) >= 16 && try(tonumber(split("/", var.cidr)[1]), 0) <= 20
    error_message = "cidr must be an IPv4 range from /16 to /20, such as 10.40.0.0/16."
  }
}

variable "zones" {
  description = "Availability zones, two or three; MSK Express needs three."
  type        = list(string)

  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 3 && length(distinct(var.zones)) == length(var.zones)
    error_message = "zones must be two or three different availability zones."
  }
}

variable "nat_per_zone" {
  description = "Whether each zone has a NAT gateway of its own. One for all costs less, and all zones lose the internet with its zone."
  type        = bool
}

variable "interface_endpoints" {
  description = "AWS services that tasks reach inside the network, by the last part of the endpoint's name; each costs by the hour and zone."
  type        = set(string)
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts the log of refused and accepted connections."
  type        = string
}

variable "log_days" {
  description = "Days that the log of connections is kept."
  type        = number
}
