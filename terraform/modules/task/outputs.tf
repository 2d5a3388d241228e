output "arn" {
  description = "ARN of the task definition with its revision."
  value       = aws_ecs_task_definition.this.arn
}

output "family" {
  description = "Name of the task definition without its revision."
  value       = aws_ecs_task_definition.this.family
}

output "family_arn" {
  description = "ARN of the task definition without its revision."
  value       = aws_ecs_task_definition.this.arn_without_revision
}

output "role_arns" {
  description = "Roles that whoever starts the task passes to it."
  value       = [aws_iam_role.execution.arn, aws_iam_role.task.arn]
}

output "container" {
  description = "Name of the container in which the process runs."
  value       = local.process_container.name
}

output "role_id" {
  description = "Name of the role of the process, to attach policies to."
  value       = aws_iam_role.task.id
}
