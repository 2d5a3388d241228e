output "role_arn" {
  description = "ARN of the role that the workflow takes."
  value       = aws_iam_role.this.arn
}
