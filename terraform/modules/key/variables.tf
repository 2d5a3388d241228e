variable "name" {
  description = "Name of the key's alias, and prefix of the log groups that it may encrypt."
  type        = string
}
