variable "name" {
  description = "Prefix of all names."
  type        = string
}

variable "image" {
  description = "Image of the program of jobs, with its digest."
  type        = string
}

variable "vpc_id" {
  description = "Network of the jobs."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the jobs."
  type        = list(string)
}

variable "instance_type" {
  description = "Size of a machine. With the defaults of cpu and memory one job fills one, so that no two share a kernel."
  type        = string
}

variable "most_instances" {
  description = "Most machines at once."
  type        = number

  validation {
    condition     = var.most_instances >= 1
    error_message = "most_instances must be 1 or more."
  }
}

variable "disk_gb" {
  description = "Disk of a machine in GB."
  type        = number

  validation {
    condition     = var.disk_gb >= 30
    error_message = "disk_gb must be 30 or more, which is what the machine's image needs."
  }
}

variable "cpu" {
  description = "CPU of a job, in 1,024th of a core."
  type        = number
}

variable "memory" {
  description = "Memory of a job in MB; less than the machine has, which needs some itself."
  type        = number
}

variable "key_arn" {
  description = "ARN of the KMS key that encrypts the log."
  type        = string
}

variable "log_days" {
  description = "Days that the log is kept."
  type        = number
}
