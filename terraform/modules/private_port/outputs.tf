output "id" {
  description = "Security group of the system that listens."
  value       = aws_security_group.this.id
}
