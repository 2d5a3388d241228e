variable "repositories" {
  description = "Names of the repositories, one an image."
  type        = set(string)
}

variable "images_kept" {
  description = "Newest images that each repository keeps."
  type        = number

  validation {
    condition     = var.images_kept >= 5
    error_message = "images_kept must be 5 or more: a rollback needs the images before the newest."
  }
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts the images."
  type        = string
}
