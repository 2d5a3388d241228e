output "name" {
  description = "Name of the service in CloudWatch."
  value       = aws_ecs_service.this.name
}
