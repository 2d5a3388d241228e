variable "name" {
  description = "Name of the cluster, and prefix of all other names."
  type        = string
}

variable "kind" {
  description = "Kind of the brokers: express (no disks to care for, three zones) or standard (a little more to set and to watch)."
  type        = string

  validation {
    condition     = contains(["express", "standard"], var.kind)
    error_message = "kind must be express or standard. Serverless cannot do our topics: it lets in by IAM only, and knows few of their settings."
  }
}

variable "instance_type" {
  description = "Size of a broker: express.* for express, kafka.* for standard."
  type        = string

  validation {
    condition     = startswith(var.instance_type, var.kind == "express" ? "express." : "kafka.")
    error_message = "instance_type must begin with express. for the kind express, and with kafka. for the kind standard."
  }
}

variable "brokers_per_zone" {
  description = "Brokers in each zone."
  type        = number

  validation {
    condition     = var.brokers_per_zone >= 1
    error_message = "brokers_per_zone must be 1 or more."
  }
}

variable "kafka_version" {
  description = "Version of Apache Kafka, as MSK names it."
  type        = string
}

variable "disk_gb" {
  description = "Disk of a standard broker in GB; express brokers have none to size."
  type        = number

  validation {
    condition     = var.disk_gb >= 10 && var.disk_gb <= 16384
    error_message = "disk_gb must be 10 to 16,384."
  }
}

variable "subnet_ids" {
  description = "Private subnets of the brokers, one a zone: three for express, two or three for standard."
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group that lets clients in."
  type        = string
}

variable "key_arn" {
  description = "ARN of the customer's KMS key that encrypts disks, logs and the secret."
  type        = string
}

variable "log_days" {
  description = "Days that the brokers' logs are kept."
  type        = number
}

variable "password_version" {
  description = "Raise it to make a new password; processes get it when they start again."
  type        = number
}
