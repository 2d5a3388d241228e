variable "name" {
  description = "Prefix of the alarms' names."
  type        = string
}

variable "emails" {
  description = "Addresses that get the alarms; each must confirm once."
  type        = set(string)
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts the messages."
  type        = string
}

variable "enabled" {
  description = "Whether alarms notify anybody; off while nothing is meant to run."
  type        = bool
}

variable "cluster_name" {
  description = "ECS cluster of the services."
  type        = string
}

variable "services" {
  description = "Services of that cluster, whose tasks must run."
  type        = set(string)
}

variable "load_balancer" {
  description = "Load balancer and target group, as CloudWatch names them."
  type = object({
    arn_suffix              = string
    target_group_arn_suffix = string
  })
}

variable "cache_node_ids" {
  description = "Nodes of the cache."
  type        = set(string)
}

variable "kafka" {
  description = "Name of the MSK cluster and how many of its brokers have disks to watch; null for a Kafka that somebody else runs."
  type = object({
    cluster_name       = string
    brokers_with_disks = number
  })
  default = null
}

variable "metrics" {
  description = "CloudWatch's names of the metrics that the workers publish."
  type = object({
    namespace    = string
    dimensions   = map(string)
    backlog      = string
    commit_age   = string
    stopped      = string
    dead_letters = string
  })
}

variable "backlog_seconds" {
  description = "A message that waits longer than this for ten minutes is an alarm: autoscaling has not helped."
  type        = number

  validation {
    condition     = var.backlog_seconds >= 60
    error_message = "backlog_seconds must be 60 or more."
  }
}
