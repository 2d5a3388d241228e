variable "bucket" {
  description = "Name of the bucket, unique in all of AWS."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket must have 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts the objects, null for S3's own key."
  type        = string
  default     = null
}

variable "kept_days" {
  description = "Days that an object is kept, null for ever."
  type        = number
  default     = null

  validation {
    condition     = var.kept_days == null || try(var.kept_days >= 1, false)
    error_message = "kept_days must be 1 or more, or null."
  }
}

variable "policies" {
  description = "Policies of the bucket, as JSON, besides the one that refuses everything without TLS."
  type        = list(string)
  default     = []
}

variable "replaced_days" {
  description = "Days that a replaced or deleted object can still be brought back."
  type        = number

  validation {
    condition     = var.replaced_days >= 1
    error_message = "replaced_days must be 1 or more."
  }
}
