output "arns" {
  description = "ARN of each secret, by its variable."
  value       = { for variable, secret in aws_secretsmanager_secret.this : variable => secret.arn }
}
