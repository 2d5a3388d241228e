variable "name" {
  description = "Name of the schedule."
  type        = string
}

variable "expression" {
  description = "When it runs, in UTC: cron(minutes hours day month weekday year) or rate(value unit)."
  type        = string
}

variable "enabled" {
  description = "Whether it runs."
  type        = bool
}

variable "cluster_arn" {
  description = "Cluster of ECS in which the task runs."
  type        = string
}

variable "family" {
  description = "Task definition; its newest revision runs."
  type        = string
}

variable "family_arn" {
  description = "ARN of the task definition without its revision."
  type        = string
}

variable "container" {
  description = "Container of the task that gets the command."
  type        = string
}

variable "command" {
  description = "Arguments of the program soulcaster; the scheduler puts the time in place of <aws.scheduler.scheduled-time>."
  type        = list(string)
}

variable "role_arns" {
  description = "Roles of the task, which are passed on to it."
  type        = list(string)
}

variable "subnet_ids" {
  description = "Subnets of the task."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the task."
  type        = list(string)
}
