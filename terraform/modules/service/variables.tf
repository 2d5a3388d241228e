variable "name" {
  description = "Name of the service."
  type        = string
}

variable "cluster_arn" {
  description = "ARN of the ECS cluster."
  type        = string
}

variable "task_definition_arn" {
  description = "ARN of the task definition."
  type        = string
}

variable "tasks" {
  description = "How many tasks run."
  type        = number

  validation {
    condition     = var.tasks >= 0
    error_message = "tasks must be 0 or more."
  }
}

variable "subnet_ids" {
  description = "Private subnets of the tasks."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the tasks."
  type        = list(string)
}

variable "target" {
  description = "Target group of a load balancer in which the tasks register, null for none."
  type = object({
    group_arn = string
    container = string
    port      = number
  })
  default = null
}
