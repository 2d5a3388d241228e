output "url_secret_arn" {
  description = "ARN of the secret that holds REDIS_URL."
  value       = aws_secretsmanager_secret.url.arn

  depends_on = [aws_secretsmanager_secret_version.url]
}

output "node_ids" {
  description = "Names of the nodes in CloudWatch."
  value       = [for number in range(var.replicas + 1) : format("%s-%03d", var.name, number + 1)]
}
