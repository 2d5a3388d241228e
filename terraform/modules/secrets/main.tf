# The values are put by hand (aws secretsmanager put-secret-value): what Terraform writes, its state keeps.
# A secret of its own for each variable lets each process read its own only.
resource "aws_secretsmanager_secret" "this" {
  for_each = var.variables

  name                    = "${var.name}/${each.key}"
  description             = "Value of ${each.key}"
  kms_key_id              = var.key_arn
  recovery_window_in_days = 30
}
