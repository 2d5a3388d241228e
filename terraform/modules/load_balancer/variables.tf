variable "name" {
  description = "Name of the load balancer, at most 32 characters."
  type        = string

  validation {
    condition     = length(var.name) <= 32
    error_message = "name must have at most 32 characters."
  }
}

variable "vpc_id" {
  description = "Network of the load balancer."
  type        = string
}

variable "subnet_ids" {
  description = "Public subnets, in two zones or more."
  type        = list(string)
}

variable "allowed_cidrs" {
  description = "Ranges of addresses that may connect, by any name: an address may not be known before it is made, a name must be."
  type        = map(string)
}

variable "task_security_group_id" {
  description = "Security group of the web server, which lets the load balancer in."
  type        = string
}

variable "port" {
  description = "Port of the web server."
  type        = number
}

variable "health_port" {
  description = "Port of the web server's /health/live."
  type        = number
}

variable "certificate_arn" {
  description = "ARN of the certificate in ACM."
  type        = string
}

variable "web_acl_arn" {
  description = "ARN of a web ACL of AWS WAF, null for none."
  type        = string
  default     = null
}

variable "log_bucket" {
  description = "Name of the bucket for the log of requests, to which load balancers may write."
  type        = string
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the load balancer."
  type        = bool
}
