variable "name" {
  description = "Prefix of the secrets' names."
  type        = string
}

variable "variables" {
  description = "Environment variables whose values are secret; each gets a secret of its own."
  type        = set(string)

  validation {
    condition     = alltrue([for variable in var.variables : can(regex("^[A-Z][A-Z0-9_]*$", variable))])
    error_message = "variables must be names of environment variables."
  }
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts the secrets."
  type        = string
}
