variable "name" {
  description = "Name of the service."
  type        = string
}

variable "cluster_arn" {
  description = "ARN of the ECS cluster."
  type        = string
}

variable "cluster_name" {
  description = "Name of the ECS cluster."
  type        = string
}

variable "task_definition_arn" {
  description = "ARN of the worker's task definition."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the tasks."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the tasks."
  type        = list(string)
}

variable "partitions" {
  description = "Partitions of every topic: a worker more than that would have no work."
  type        = number
}

variable "fewest" {
  description = "Fewest workers."
  type        = number

  validation {
    condition     = var.fewest >= 0
    error_message = "fewest must be 0 or more."
  }
}

variable "most" {
  description = "Most workers, no more than partitions."
  type        = number

  validation {
    condition     = var.most >= var.fewest && var.most <= var.partitions
    error_message = "most must be at least fewest and at most partitions: further workers would be idle."
  }
}

variable "metric" {
  description = "CloudWatch's name of the backlog in seconds, with its namespace and dimensions."
  type = object({
    namespace  = string
    name       = string
    dimensions = map(string)
  })
}

variable "more_above_seconds" {
  description = "A backlog older than this for three minutes adds a worker; four times as old, two."
  type        = number

  validation {
    condition     = var.more_above_seconds > var.fewer_below_seconds
    error_message = "more_above_seconds must be above fewer_below_seconds."
  }
}

variable "fewer_below_seconds" {
  description = "A backlog younger than this for half an hour takes a worker away."
  type        = number

  validation {
    condition     = var.fewer_below_seconds > 0
    error_message = "fewer_below_seconds must be above 0."
  }
}
