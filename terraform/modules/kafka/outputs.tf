output "servers" {
  description = "Addresses of the brokers for SASL/SCRAM over TLS."
  value       = aws_msk_cluster.this.bootstrap_brokers_sasl_scram

  depends_on = [aws_msk_single_scram_secret_association.this]
}

output "secret_arn" {
  description = "ARN of the secret with the keys username and password."
  value       = aws_secretsmanager_secret.this.arn
}

output "cluster_name" {
  description = "Name of the cluster in CloudWatch."
  value       = aws_msk_cluster.this.cluster_name
}
