variable "name" {
  description = "Name of the security group."
  type        = string
}

variable "what" {
  description = "What listens, for descriptions."
  type        = string
}

variable "vpc_id" {
  description = "Network that the group is in."
  type        = string
}

variable "client_security_group_id" {
  description = "Security group of the clients; it is let out to this one."
  type        = string
}

variable "port" {
  description = "Port on which the system listens."
  type        = number
}
