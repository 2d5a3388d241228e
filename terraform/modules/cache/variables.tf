variable "name" {
  description = "Name of the replication group, and prefix of all other names; at most 40 characters."
  type        = string

  validation {
    condition     = length(var.name) <= 40
    error_message = "name must have at most 40 characters."
  }
}

variable "node_type" {
  description = "Size of a node, such as cache.t4g.medium; the read model must fit, with a quarter to spare."
  type        = string

  validation {
    condition     = startswith(var.node_type, "cache.")
    error_message = "node_type must begin with cache."
  }
}

variable "replicas" {
  description = "Nodes besides the primary one, in other zones; 0 means minutes without a read model when the node fails."
  type        = number

  validation {
    condition     = var.replicas >= 0 && var.replicas <= 5
    error_message = "replicas must be 0 to 5."
  }
}

variable "subnet_ids" {
  description = "Private subnets of the nodes."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group that lets clients in."
  type        = string
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts disk, logs and secrets."
  type        = string
}

variable "log_days" {
  description = "Days that the log of slow commands is kept."
  type        = number
}

variable "password_version" {
  description = "Raise it to make a new password; processes get it when they start again."
  type        = number
}

variable "port" {
  description = "Port on which it listens."
  type        = number
}
