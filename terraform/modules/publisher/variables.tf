variable "name" {
  description = "Prefix of the role's name."
  type        = string
}

variable "github_repository" {
  description = "Repository on GitHub whose workflow pushes images, as owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository must look like owner/name."
  }
}

variable "github_environment" {
  description = "Environment of that repository in which the workflow's job runs; who may start it is decided there."
  type        = string
}

variable "oidc_provider_arn" {
  description = "ARN of GitHub's identity provider, where the account has one; null makes it. An account can have it only once."
  type        = string
  default     = null
}

variable "repository_arns" {
  description = "ARNs of the image repositories that the role may push to."
  type        = list(string)
}
