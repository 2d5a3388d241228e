output "vpc_id" {
  description = "Id of the network."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Subnets with addresses on the internet, for the load balancer."
  value       = [for zone in var.zones : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "Subnets that reach the internet through NAT, for everything else."
  value       = [for zone in var.zones : aws_subnet.private[zone].id]
}

output "nat_addresses" {
  description = "Addresses that our calls to the internet come from, also those to our own load balancer, by zone."
  value       = { for zone, address in aws_eip.nat : zone => address.public_ip }
}

output "task_security_group_id" {
  description = "Security group of every process."
  value       = aws_security_group.tasks.id
}

output "client_security_group_id" {
  description = "Security group of the processes that read and write Kafka and Redis."
  value       = aws_security_group.clients.id
}
