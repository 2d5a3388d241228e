variable "name" {
  description = "Prefix of all names."
  type        = string
}

variable "process" {
  description = "Name of the process, such as worker; the task is called by both."
  type        = string
}

variable "image" {
  description = "Image with its digest."
  type        = string
}

variable "command" {
  description = "Arguments of the program soulcaster, which is the image's entry point."
  type        = list(string)
}

variable "cpu" {
  description = "CPU of the task, in 1,024th of a core, a size of Fargate."
  type        = number
}

variable "memory" {
  description = "Memory of the task in MB, a size of Fargate that goes with cpu."
  type        = number
}

variable "architecture" {
  description = "Processor that the image is built for: X86_64 or ARM64."
  type        = string

  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "architecture must be X86_64 or ARM64."
  }
}

variable "environment" {
  description = "Settings of the process that are no secrets."
  type        = map(string)
}

variable "secrets" {
  description = "Settings of the process that are secrets: ARN of each, and the key of its JSON where the secret has several."
  type = map(object({
    arn = string
    key = optional(string)
  }))
}

variable "ports" {
  description = "Ports that the process listens on."
  type        = list(number)
}

variable "health_port" {
  description = "Port of /health/live, null for a task that ends by itself."
  type        = number
  default     = null
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts log and secrets."
  type        = string
}

variable "log_days" {
  description = "Days that the log is kept."
  type        = number
}

variable "collector" {
  description = "Collector beside the process that publishes metrics to CloudWatch, null for none."
  type = object({
    image     = string
    namespace = string
    metrics   = list(string)
  })
  default = null
}
